"""What a call of the control API may say: nothing that nobody reads."""

from pydantic import BaseModel, ConfigDict


class Asked(BaseModel):
    """A body; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")
