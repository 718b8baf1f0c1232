//! The sample tables: small enough to read, with keys, dates, money and text to ask about.

/// Makes and fills them.
pub(crate) const STATEMENTS: &str = "
CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('admin', 'engineer', 'analyst')),
    active BOOLEAN NOT NULL DEFAULT 1,
    created_at TEXT NOT NULL
);
CREATE TABLE projects (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    owner_id INTEGER NOT NULL REFERENCES users (id),
    status TEXT NOT NULL CHECK (status IN ('planned', 'active', 'done')),
    budget DECIMAL NOT NULL,
    started_on DATE
);
CREATE INDEX projects_by_owner ON projects (owner_id);
CREATE VIEW active_projects AS
    SELECT projects.id, projects.name, users.name AS owner, projects.budget
    FROM projects JOIN users ON users.id = projects.owner_id
    WHERE projects.status = 'active';
INSERT INTO users (id, name, email, role, active, created_at) VALUES
    (1, 'Ada Byron', 'ada@example.com', 'admin', 1, '2024-01-08T09:00:00Z'),
    (2, 'Grace Murray', 'grace@example.com', 'engineer', 1, '2024-02-12T10:30:00Z'),
    (3, 'Edsger Wybe', 'edsger@example.com', 'engineer', 1, '2024-03-04T08:15:00Z'),
    (4, 'Barbara Huberman', 'barbara@example.com', 'engineer', 1, '2024-05-20T14:45:00Z'),
    (5, 'Alan Mathison', 'alan@example.com', 'analyst', 0, '2024-06-23T11:00:00Z'),
    (6, 'Katherine Coleman', 'katherine@example.com', 'analyst', 1, '2024-08-26T07:30:00Z'),
    (7, 'Donald Ervin', 'donald@example.com', 'engineer', 1, '2025-01-10T16:20:00Z'),
    (8, 'Radia Joy', 'radia@example.com', 'admin', 1, '2025-04-18T12:00:00Z');
INSERT INTO projects (id, name, owner_id, status, budget, started_on) VALUES
    (1, 'Analytical Engine', 1, 'active', 125000.50, '2024-02-01'),
    (2, 'Compiler', 2, 'done', 80000, '2024-03-15'),
    (3, 'Shortest Path', 3, 'done', 12500.25, '2024-04-02'),
    (4, 'Data Abstraction', 4, 'active', 64000, '2024-07-01'),
    (5, 'Trajectories', 6, 'active', 98000, '2024-09-10'),
    (6, 'Typesetting', 7, 'active', 45250.75, '2025-02-03'),
    (7, 'Spanning Tree', 8, 'planned', 30000, NULL);
";
