"""The HTTP API. Thin routers, one per noun; what they do is in `services`.

routers/     paths, parameters, response models, examples
services/    submission, preview, views of rows, charts: no HTTP in there
deps         what routers are given, as annotated aliases
context      the database, the queue and the event hub of one application
middleware   security headers, Host and Origin, body limit and strict JSON, the last resort for exceptions
problems     every error as RFC 9457 problem details
stream       server-sent events
site         the built page
export       writes the OpenAPI document that the page's client is generated from
"""
