"""The template of the page that `dvc plots show` writes, with its scripts inside: no internet."""

from pathlib import Path

from spam_gpt2.common.console import run_stage
from spam_gpt2.common.files import write_text

from vl_convert import javascript_bundle

TEMPLATE_PATH = Path("reports/plots_template.html")
# DVC fills in the names in braces; its own list of scripts on the web, {scripts}, is left out.
TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{{refresh_tag}}
<title>spam-gpt2: plots</title>
<style>
body {{ font-family: sans-serif; }} table {{ border-spacing: 15px; }}
img {{ max-width: 640px; height: auto; }}
</style>
<script>(() => {{ {bundle} }})();</script>
</head>
<body>
{{plot_divs}}
</body>
</html>
"""


def main() -> None:
    bundle = javascript_bundle().replace("</script", "<\\/script")
    write_text(TEMPLATE_PATH, TEMPLATE.format(bundle=bundle))


if __name__ == "__main__":
    run_stage(main, __file__)
