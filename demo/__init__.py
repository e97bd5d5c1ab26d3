"""A small gateway, people and a season's calendar: what `make up` plays. Never a part of production."""
