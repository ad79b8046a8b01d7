"""Stands in for GitHub's command line: `gh api` on a repository that is a JSON file.

It understands what the workflows ask, and refuses all else. `--jq` is left to the real jq.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit


def parsed() -> argparse.Namespace:
    it = argparse.ArgumentParser()
    it.add_argument("command", choices=["api"])
    it.add_argument("address")
    it.add_argument("--method", default="GET")
    it.add_argument("-f", dest="texts", action="append", default=[])
    it.add_argument("-F", dest="fields", action="append", default=[])
    it.add_argument("--jq")
    it.add_argument("--paginate", action="store_true")
    it.add_argument("--silent", action="store_true")
    return it.parse_args()


def answer(state: dict, method: str, path: str, fields: dict[str, str]) -> object:
    """GitHub's answer to a request, by https://docs.github.com/rest."""
    if (method, path) == ("GET", "pulls"):
        pulls = [pull for pull in state["pulls"] if pull["state"] == fields["state"]]
        return [pull for pull in pulls if pull["head"]["label"] == fields["head"]]
    if match := re.fullmatch(r"GET actions/runs/(\d+)/artifacts", f"{method} {path}"):
        artifacts = [a for a in state["artifacts"] if a["run"] == int(match[1])]
        return {"artifacts": [a for a in artifacts if a["name"] == fields["name"]]}
    if match := re.fullmatch(r"GET actions/artifacts/(\d+)/zip", f"{method} {path}"):
        [artifact] = [a for a in state["artifacts"] if a["id"] == int(match[1])]
        return bytes.fromhex(artifact["zip"])
    if match := re.fullmatch(r"GET issues/(\d+)/comments", f"{method} {path}"):
        return [c for c in state["comments"] if c["issue"] == int(match[1])]
    if len(fields.get("body", "")) > 65_536:
        sys.exit("HTTP 422: Body is too long (maximum is 65536 characters)")
    if match := re.fullmatch(r"POST issues/(\d+)/comments", f"{method} {path}"):
        new = {"id": 1000 + len(state["comments"]), "issue": int(match[1])}
        new |= {"user": {"login": "github-actions[bot]"}, "body": fields["body"]}
        state["comments"].append(new)
        return new
    if match := re.fullmatch(r"PATCH issues/comments/(\d+)", f"{method} {path}"):
        [comment] = [c for c in state["comments"] if c["id"] == int(match[1])]
        comment["body"] = fields["body"]
        return comment
    sys.exit(f"fake gh: {method} {path} is not known")


def main() -> None:
    args, state_path = parsed(), Path(os.environ["FAKE_GITHUB"])
    assert os.environ["GH_TOKEN"] == "token"
    state = json.loads(state_path.read_text())
    address = urlsplit(args.address)
    fields = dict(parse_qsl(address.query)) | dict(text.split("=", 1) for text in args.texts)
    for name, value in (field.split("=", 1) for field in args.fields):
        fields[name] = Path(value.removeprefix("@")).read_text()
    path = address.path.removeprefix("repos/owner/project/")
    result = answer(state, args.method, path, fields)
    state_path.write_text(json.dumps(state))
    if isinstance(result, bytes):
        sys.stdout.buffer.write(result)
    elif args.jq:
        subprocess.run(["jq", "-r", args.jq], input=json.dumps(result), text=True, check=True)
    elif not args.silent:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
