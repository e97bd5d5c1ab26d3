"""`wedops`, by the interpreter that runs the tests."""

from workers.cli.main import main

if __name__ == "__main__":
    main()
