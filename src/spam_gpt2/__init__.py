"""Fine-tune GPT-2 into an SMS spam classifier, reproducibly."""

import gc
import os
import signal
import sys

# For the libraries below torch, so before torch is imported anywhere. Threads that wait for each
# other soon sleep: they spin by default, and on a busy machine take the core from those that they
# wait for (GNU's OpenMP; Intel's and LLVM's, in milliseconds). Fewer kernels of oneDNN are kept:
# each takes 2 MB or more, and batches differ in size, which has kernels of its own.
for _variable, _value in (
    ("GOMP_SPINCOUNT", "10000"),
    ("KMP_BLOCKTIME", "1"),
    ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32"),
    ("LRU_CACHE_CAPACITY", "32"),  # of torch's own cache above oneDNN's
):
    os.environ.setdefault(_variable, _value)

PARENT = os.getppid()  # before imports that take seconds, in which it may die
# Set in each of a stage's several processes (`common.launch`): the file by which they meet.
STORE = "SPAM_GPT2_STORE"


def end_in_one_line(number: int, frame: object) -> None:
    if STORE not in os.environ:  # else who started it says so
        os.write(2, b"interrupted\n")
    os._exit(128 + number)


# A program of ours is starting (`-m` stands there while Python looks for the module). What is
# imported may catch a KeyboardInterrupt or dress it up. `one_line_errors` takes over from here, and
# collects garbage again.
_script = os.path.abspath(sys.argv[0]) if sys.argv else ""  # noqa: PTH100, pathlib takes time
_is_ours = (
    sys.argv[:1] == ["-m"]
    or os.path.basename(_script) == "spam-gpt2"  # noqa: PTH119
    or os.path.basename(os.path.dirname(_script)) == "stages"  # noqa: PTH119, PTH120
)
if _is_ours:
    gc.disable()  # imports leave nothing to collect, and looking takes a tenth of their time
if _is_ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, end_in_one_line)
