"""The entry point: says which extra is missing, where one is, before anything else can fail."""

import sys

USAGE = 2
EXTRA = (
    "jinja2",
    "matplotlib",
    "sklearn",
    "wfdb",
    "edfio",
    "torch",
)  # what `train` brings; see pyproject.toml


def main() -> None:
    """Run `beatgan-train`."""
    try:
        from beatgan_train.cli import main as run
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRA:
            raise
        sys.stderr.write(
            f"beatgan-train: needs {missing}: pip install 'beatgan[train]'; "
            "the daemon does without\n"
        )
        sys.exit(USAGE)
    run()


if __name__ == "__main__":
    main()
