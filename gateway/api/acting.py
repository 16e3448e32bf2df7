"""Acting: as whom a key acts. A key is a service, may carry a model's submission, and is never a person."""

from pydantic import ValidationError

from gateway.api.keys import ApiKey
from gateway.api.models import CallerActor
from gateway.api.problems import Problem
from loops.actors import AiAgent, Automation, service
from loops.problems import at


def actor_of(key: ApiKey, said: CallerActor | None, *, on_behalf_of: str | None = None) -> Automation | AiAgent:
    """
    Return the actor of a call with *key* that *said* who acts; without a word the service itself does.

    Raises:
        Problem: 403 where it says human or system, 422 where the fields of an ai-agent are not there.
    """
    if said is None:
        return service(key.service, on_behalf_of=on_behalf_of)
    behind = said.on_behalf_of or on_behalf_of
    match said.type:
        case "automation":
            made = service(key.service, said.display_name, on_behalf_of=behind)
            return made if said.id == key.service else made.changed(metadata={"calledItself": said.id})
        case "ai-agent":
            return _agent(key, said, behind)
        case "human":
            told = "a key is a service and cannot act as a human; people decide in Slack"
            raise Problem(403, "human_actor_forbidden", told, {"actor.type": "must be automation or ai-agent"})
        case "system":
            told = "only Loopgate itself acts as system"
            raise Problem(403, "system_actor_forbidden", told, {"actor.type": "must be automation or ai-agent"})
        case _:
            told = "there is no such actor type"
            raise Problem(422, "bad_request", told, {"actor.type": "must be automation or ai-agent"})


def _agent(key: ApiKey, said: CallerActor, behind: str | None) -> AiAgent:
    missing = {
        f"actor.{name}": "is needed of an ai-agent" for name in _MISSING if getattr(said, _MISSING[name]) is None
    }
    if missing:
        raise Problem(422, "bad_request", "an ai-agent says which model it is", missing)
    try:
        return AiAgent.model_validate(
            {
                "id": said.id,
                "display_name": said.display_name,
                "model_id": said.model_id,
                "provider": said.provider,
                "confidence": said.confidence,
                "prompt_hash": said.prompt_hash,
                "tools_used": said.tools_used,
                "on_behalf_of": behind,
                # Who vouches for it: the agent is the caller's word, the service is ours.
                "metadata": {"carriedBy": key.service},
            }
        )
    except ValidationError as error:
        wrong = {f"actor.{at(*each['loc'])}": each["msg"] for each in error.errors(include_url=False)}
        raise Problem(422, "bad_request", "the actor is not one", wrong) from error


_MISSING = {"modelId": "model_id", "provider": "provider"}
