"""The API, version 1: thin routes over use cases."""
