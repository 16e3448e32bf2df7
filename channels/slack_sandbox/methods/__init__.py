"""
The Web API methods, one module per family (`chat`, `views`, `users`, ...).

Lives here: what each method checks, changes and answers, as functions of (sandbox, arguments).
Must not be here: HTTP, tokens, rate limits, faults (`web_api.py` has those), deliveries to the app.
To add a method: write the function, list it in `registry.py`, give it a tier in `rate_limits.py`.
"""
