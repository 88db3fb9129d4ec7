"""Fetches and builds what the tests' servers consist of (Hadoop's jars, versitygw): no test has to wait for it."""

from tests.support.hadoop_jars import OTHER_VERSIONS, classes, jars
from tests.support.versitygw_build import MISSING, versitygw_program


def main() -> None:
    """Does it, or finds it done; versitygw is left out where there is no Go."""
    classes()
    for version in OTHER_VERSIONS:
        jars(version)
    if versitygw_program() is None:
        print(f"{MISSING}; its tests will be skipped")


if __name__ == "__main__":
    main()
