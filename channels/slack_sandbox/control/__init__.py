"""
The control API under `/sandbox/`, for tests and the page: everything a person, Slack or a mishap could do.

`acting` does what people do, `reading` shows what there is, `arranging` changes the workspace and lets things go wrong;
`routes` serves them. A new handler is a function there and a line in the table of `routes`.
"""
