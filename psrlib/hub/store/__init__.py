"""The hub's database: tables, queries, what is remembered of them."""
