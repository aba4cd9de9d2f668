"""One file for each place that examples come from; `aezoo.data.loading` chooses among them."""
