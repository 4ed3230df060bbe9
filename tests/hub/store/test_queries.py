"""Query SELECTs give what SQLAlchemy's own execution gives, on either database."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, bindparam, func, select

from psrlib.hub.store.database import Database
from psrlib.hub.store.queries import LARGEST, Query, any_of, by_key, by_keys, insert_rows
from psrlib.hub.store.schema import metadata
from psrlib.hub.store.schema.security import users

N = 2 * LARGEST + 1


@pytest.fixture
def database(db_url: str) -> Iterator[Database]:
    opened = Database(db_url)
    opened.prepare()
    with opened.writing() as connection:
        rows = [
            {
                "id": f"{i:05}@acme",
                "organization": "acme" if i % 3 else "other",
                "name": f"100% {i % 7}",
                "email": "",
                "roles": [],
                "active": i % 2 == 0,
                "password_generated": True,
                "password_expiry_time": 0,
                "creator": "",
                "last_modified_by": "",
            }
            for i in range(N)
        ]
        insert_rows(connection, users, rows)
    yield opened
    opened.close()


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.reading() as opened:
        yield opened


VALUES = {str: "text", bool: True, int: 3, float: 12.5, object: ["a", {"b": 1}]}


def test_every_table_is_read_as_sqlalchemy_reads_it(db_url: str) -> None:
    """The same values of the same types: booleans are booleans where the database has none."""
    database = Database(db_url)
    database.prepare()
    filled = [table for table in metadata.sorted_tables if table.name != "meta"]
    with database.writing() as connection:
        for table in filled:
            values = {column.name: VALUES[column.type.python_type] for column in table.columns}
            connection.execute(table.insert().values(values))
        for table in filled:
            found = Query(select(table)).rows(connection)
            expected = [tuple(row) for row in connection.execute(select(table))]
            assert [tuple(row) for row in found] == expected
            assert [[type(v) for v in row] for row in found] == [[type(v) for v in row] for row in expected]
            assert expected
    database.close()


def test_rows_have_the_names_of_the_columns(connection: Connection) -> None:
    """As attributes, and as a mapping."""
    row = by_key(users).first(connection, key="00002@acme")
    assert (row.id, row.active, row.deleted) == ("00002@acme", True, False)
    assert row._asdict()["organization"] == "acme"
    assert list(row._fields) == [column.name for column in users.columns]


def test_an_absent_row_is_none(connection: Connection) -> None:
    """Not an error."""
    assert by_key(users).first(connection, key="nobody@acme") is None


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, LARGEST - 1, LARGEST, LARGEST + 1, N])
def test_any_number_of_keys_is_read_once_each(connection: Connection, n: int) -> None:
    """Keys that fill up a statement add no rows, nor do keys that are given twice."""
    keys = [f"{i:05}@acme" for i in range(n)]
    found = by_keys(users)(connection, keys + keys)
    assert sorted(row.id for row in found) == keys


def test_keys_go_with_other_values(connection: Connection) -> None:
    """Both restrict the rows."""
    read = any_of(
        lambda ids: select(users.c.id).where(users.c.id.in_(ids), users.c.active == bindparam("on"))
    )
    found = read(connection, ["00001@acme", "00002@acme", "00003@acme"], on=False)
    assert [row.id for row in found] == ["00001@acme", "00003@acme"]


@pytest.mark.parametrize("offset", [0, 10])
@pytest.mark.parametrize("descending", [False, True])
def test_a_page_is_ordered_with_ties_by_key(connection: Connection, descending: bool, offset: int) -> None:
    """The same page as ORDER BY, LIMIT and OFFSET written out."""
    query = Query(select(users).where(users.c.organization == bindparam("org")))
    bounds = {"page_limit": 25, "page_offset": offset} if offset else {"page_limit": 25}
    page = query.page(users.c.name, users.c.id, descending=descending, offset=offset > 0, limit=True)
    found = page.rows(connection, org="acme", **bounds)
    first = users.c.name.desc() if descending else users.c.name.asc()
    plain = select(users.c.id).where(users.c.organization == "acme").order_by(first, users.c.id)
    expected = connection.execute(plain.limit(25).offset(offset)).scalars()
    assert [row.id for row in found] == list(expected)


def test_a_count_is_of_the_same_rows(connection: Connection) -> None:
    """Narrowed down like the rows."""
    query = Query(select(users).where(users.c.organization == bindparam("org"), users.c.active))
    assert query.count().scalar(connection, org="acme") == len(query.rows(connection, org="acme"))


def test_fixed_values_and_percent_signs_stay(connection: Connection) -> None:
    """What is written in the statement is no open value, and no format of the driver."""
    query = Query(select(users.c.id).where(users.c.name.like("100\\% 3", escape="\\"), users.c.id > "00100"))
    expected = select(func.count()).where(users.c.name == "100% 3", users.c.id > "00100")
    assert len(query.rows(connection)) == connection.execute(expected).scalar_one()


def test_what_was_read_before_is_not_what_is_read_now(database: Database) -> None:
    """Each reading sees what was committed before it began."""
    for name in ("one", "two"):
        with database.writing() as connection:
            connection.execute(users.update().where(users.c.id == "00001@acme").values(name=name))
        with database.reading() as connection:
            assert by_key(users).first(connection, key="00001@acme").name == name
