"""Resource names: `locations/{location}`, `tasks/{task}`, `tasks/{task}/executions/{execution}`. Pure."""

from __future__ import annotations


def location_name(location_id: str) -> str:
    """Returns the resource name of a location; a full name is returned as it is."""
    return location_id if location_id.startswith("locations/") else f"locations/{location_id}"


def task_name(task_id: str) -> str:
    """Returns the resource name of a task; a full name is returned as it is. `-` stands for all tasks."""
    return task_id if task_id.startswith("tasks/") else f"tasks/{task_id}"


def execution_name(name: str) -> str:
    """Returns the resource name of an execution, also of its short form `{task}/{execution}`."""
    if name.startswith("tasks/") or name.count("/") != 1:
        return name
    task, execution = name.split("/")
    return f"tasks/{task}/executions/{execution}"


def short_name(name: str) -> str:
    """Returns a resource name as people type it: without the collections' names."""
    return "/".join(name.split("/")[1::2])
