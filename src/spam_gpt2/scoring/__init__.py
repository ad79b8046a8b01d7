"""More messages than one machine reads: the registered model on Spark, from Parquet to Parquet.

Imports: common, data, classifier, tracking.
"""
