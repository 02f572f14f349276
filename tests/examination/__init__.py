"""What an operator is told of a database."""
