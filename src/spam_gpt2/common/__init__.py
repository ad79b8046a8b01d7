"""What every part needs: files, errors, parameters, downloads.

Imports: nothing of the others.
"""
