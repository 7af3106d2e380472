//! Agent text → a small tree; no HTML anywhere.
