"""Who may do what: one identity a role, on Valkey and in PostgreSQL."""
