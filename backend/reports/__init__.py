"""Files that leave the house: CSV."""
