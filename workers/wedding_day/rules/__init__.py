"""What a look at a wedding calls for, how its day goes, and what was learned of past ones."""
