"""What was found, as tables, charts and one page of HTML."""
