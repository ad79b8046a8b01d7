"""What is missing is named with the command that installs it."""

from __future__ import annotations

import pytest

from spam_gpt2.common.extras import need
from spam_gpt2.common.files import InputError


def test_a_package_that_is_missing_is_named_with_the_command() -> None:
    need("json")
    with pytest.raises(InputError) as caught:
        need("json", "no_such_package")
    assert str(caught.value) == ("no_such_package is not installed; run: make extras")
