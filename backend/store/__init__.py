"""The database: tables, transactions, migrations, and one repository module per noun."""
