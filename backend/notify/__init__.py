"""Notifications on their way out of the server: by webhook and by mail. docs/notifications.md says what arrives."""
