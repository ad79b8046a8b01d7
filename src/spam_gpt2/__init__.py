"""Fine-tune GPT-2 into an SMS spam classifier, reproducibly."""

import os

# Before torch is imported anywhere: threads that wait for each other soon sleep. They spin by
# default, for 200 ms and more, and on a busy machine take the core from those that they wait for.
for _variable, _value in (("GOMP_SPINCOUNT", "10000"), ("KMP_BLOCKTIME", "1")):
    os.environ.setdefault(_variable, _value)  # GNU's OpenMP; Intel's and LLVM's, in milliseconds
