"""Fine-tune GPT-2 into an SMS spam classifier, reproducibly."""

import os
import signal
import sys

# Before torch is imported anywhere: threads that wait for each other soon sleep. They spin by
# default, for 200 ms and more, and on a busy machine take the core from those that they wait for.
for _variable, _value in (("GOMP_SPINCOUNT", "10000"), ("KMP_BLOCKTIME", "1")):
    os.environ.setdefault(_variable, _value)  # GNU's OpenMP; Intel's and LLVM's, in milliseconds

PARENT = os.getppid()  # before imports that take seconds, in which it may die


def end_in_one_line(number: int, frame: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(128 + number)


# A program of ours is starting (`-m` stands there while Python looks for the module). What is
# imported may catch a KeyboardInterrupt or dress it up; `one_line_errors` takes over from here.
_script = os.path.abspath(sys.argv[0]) if sys.argv else ""  # noqa: PTH100, pathlib takes time
_is_ours = sys.argv[:1] == ["-m"] or os.path.basename(os.path.dirname(_script)) == "stages"  # noqa: PTH119, PTH120
if _is_ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, end_in_one_line)
