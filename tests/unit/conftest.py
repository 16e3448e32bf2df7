"""Settings of the fast tests: properties are judged by what they find, not by how busy the machine is."""

from hypothesis import settings

settings.register_profile("loopgate", deadline=None)
settings.load_profile("loopgate")
