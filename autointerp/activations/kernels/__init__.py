"""States of units under collection: their integers, and the code that adds batches to them."""
