"""`python -m ifrud`: the same as `ifrud`."""

from ifrud.cli import main

main()
