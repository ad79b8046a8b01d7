"""Fine-tune GPT-2 into an SMS spam classifier, reproducibly."""

import os

# For the libraries below torch, so before torch is imported anywhere. Threads that wait for each
# other soon sleep: they spin by default, and on a busy machine take the core from those that they
# wait for (GNU's OpenMP; Intel's and LLVM's, in milliseconds). oneDNN keeps fewer kernels: batches
# differ in size, and each size has kernels of its own.
for _variable, _value in (
    ("GOMP_SPINCOUNT", "10000"),
    ("KMP_BLOCKTIME", "1"),
    ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64"),
):
    os.environ.setdefault(_variable, _value)
