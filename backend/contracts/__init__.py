"""Models that cross a boundary between browser, API, queue and worker."""
