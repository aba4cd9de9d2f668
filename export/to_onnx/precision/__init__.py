"""Files of lower precision: float16, and int8 within a budget."""
