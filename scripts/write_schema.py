"""Write ``options/schema/*.json``, by which editors complete and check the YAML files.

python scripts/write_schema.py            write them
python scripts/write_schema.py --check    status 1 if one is out of date, nothing written
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from desra.options.app import AppOptions
from desra.options.base import Strict
from desra.options.calibrate import CalibrateOptions
from desra.options.detect import DetectOptions
from desra.options.evaluate import EvaluateOptions
from desra.options.report import ReportOptions
from desra.options.run import RunOptions
from desra.options.sweep import SweepOptions
from desra.options.train import TrainOptions
from desra.options.upscale import UpscaleOptions

FOLDER = Path(__file__).resolve().parent.parent / "options" / "schema"
MODELS: dict[str, type[Strict]] = {
    "detect": DetectOptions,
    "calibrate": CalibrateOptions,
    "sweep": SweepOptions,
    "train": TrainOptions,
    "evaluate": EvaluateOptions,
    "report": ReportOptions,
    "upscale": UpscaleOptions,
    "run": RunOptions,
    "app": AppOptions,
}


def _for_people(schema: Any) -> Any:
    """Cut from the descriptions what docstrings say to those who program (errors, examples)."""
    if isinstance(schema, list):
        return [_for_people(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    content = {key: _for_people(part) for key, part in schema.items()}
    if isinstance(text := content.get("description"), str):
        content["description"] = text.split("\n\nRaises:")[0]
    return content


def schema_text(model: type[Strict]) -> str:
    """The JSON schema of an options file, by the names that YAML uses."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_for_people(model.model_json_schema(by_alias=True)),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def out_of_date() -> list[Path]:
    """The files that are missing or differ from what their model says."""
    wanted = {FOLDER / f"{name}.json": schema_text(model) for name, model in MODELS.items()}
    return [
        path
        for path, text in wanted.items()
        if not path.is_file() or json.loads(path.read_text("utf-8")) != json.loads(text)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the JSON schemas of the options files.")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    stale = out_of_date()
    if parser.parse_args().check:
        for path in stale:
            print(f"{path} is out of date; run: python scripts/write_schema.py", file=sys.stderr)
        return int(bool(stale))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, model in MODELS.items():
        (FOLDER / f"{name}.json").write_text(schema_text(model), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
