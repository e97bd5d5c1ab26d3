"""What people see: read models over all rooms, the same for the terminal, HTTP and pages."""
