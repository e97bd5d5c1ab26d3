"""Running the system: embedded servers, and processes that are put back when they die or hang."""
