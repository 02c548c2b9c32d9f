"""TEMPORARY stand-in by the lead; to be overwritten."""
from agent.store import Session
def write_card(tx: Session, version: str) -> None:
    return None
