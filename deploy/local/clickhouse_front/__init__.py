"""An HTTP front over ClickHouse's engine as a library, for machines without containers.

It speaks as much of ClickHouse's HTTP interface as the official Rust and Go clients, curl and Grafana's data source use.
It is a stand-in for the server in development and tests, not a server: results are held in memory, there are no
sessions, and nobody is kept out who can reach the port unless a password is configured.

    server     the HTTP server: a request comes in
    access     who may ask
    body       the request's body: bounded, whole or not at all
    framing    ClickHouse's native compressed blocks
    form       a query with its parameters as multipart/form-data
    request    what is asked: the statement, its settings, its data
    engine     the engine, one session a request
    native     the Native format for clients that name their protocol's version
    encoding   how the answer is packed
    refusal    errors as text, code and status
"""
