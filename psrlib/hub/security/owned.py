"""Objects that somebody owns: one mechanism for what has an id, an organization and an access list."""

from dataclasses import dataclass

from sqlalchemy import Table

from psrlib.hub.security.acl import drop_acls, insert_acls, permitted
from psrlib.hub.store.queries import Row, insert_rows
from psrlib.hub.store.text import Json
from psrlib.hub.web.call import Call

FIXED = ("id", "organization", "creator", "created_on")


@dataclass(frozen=True)
class Owned:
    """A kind of object: its table, its name in messages and its type in access lists."""

    table: Table
    name: str
    resource_type: str

    def fetch(self, call: Call, entity_id: str, action: str) -> Row:
        """Return an object that the caller may read, write or execute; 404 or 403 otherwise."""
        return permitted(call, self.table, entity_id, self.name, action)

    def create(self, call: Call, columns: Json, entity_id: str = "") -> Row:
        """Make an object of the caller, with its access list; the columns that the hub knows are its own."""
        entity_id = entity_id or call.new_id()
        row = columns | {"id": entity_id, "organization": call.organization} | call.created
        insert_rows(call.db, self.table, [row])
        insert_acls(call, self.resource_type, [entity_id], call.organization)
        return call.fetch(self.table, entity_id, self.name)

    def update(self, call: Call, entity_id: str, columns: Json) -> None:
        """Change the columns of an object, but for those that never change."""
        values = {name: value for name, value in columns.items() if name not in FIXED} | call.changed
        call.db.execute(self.table.update().where(self.table.c.id == entity_id).values(values))

    def delete(self, call: Call, ids: list[str]) -> None:
        """Delete objects and their access lists."""
        call.db.execute(self.table.delete().where(self.table.c.id.in_(ids)))
        drop_acls(call, ids)
