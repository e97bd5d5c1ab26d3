"""Looking at weddings, taking reports, watching how days go on, learning of past ones."""
