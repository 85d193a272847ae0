"""An HTTP front over ClickHouse's engine as a library, for machines without containers.

It speaks as much of ClickHouse's HTTP interface as the official Rust crate, curl and Grafana's data source use. It is a
stand-in for the server in development and tests, not a server: results are held in memory, and nobody is kept out who
can reach the port unless a password is configured.

    framing    ClickHouse's native compressed blocks
    request    what a request asks: the statement, its settings, its data
    engine     the engine, one session a request
    refusal    the engine's errors as HTTP statuses
    server     the HTTP server
"""
