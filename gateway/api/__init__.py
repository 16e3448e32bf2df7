"""
API v1: how systems and agents ask, look and learn the outcome. Everything under ``/api/v1``.

`table.py` is what there is: method, path, scopes, models, refusals. Routes are made of it, and so is
the OpenAPI document, so that neither can say what the other does not. Handlers translate between HTTP and the engine;
they decide nothing, and none lets a caller decide as a human: a key is a service.

To add an endpoint, write its models in `models.py`, its handler beside its kin, and its line in the table. Storage is
behind `ports.py`. Nothing here knows Redis, Slack or RQ.
"""
