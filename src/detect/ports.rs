//! Ports: where answers who has to do with its own house alone.
//! In: an IP protocol and a port (IANA). Out: whether databases or directories stand there. No stranger has anything to do with either.

/// What TCP is among IP protocols.
const TCP: u8 = 6;
/// Databases and what searches in them: Microsoft SQL Server, Oracle, MySQL, PostgreSQL, CouchDB, Redis, Cassandra, Elasticsearch,
/// Memcached, MongoDB.
const DATABASES: [u16; 10] = [1433, 1521, 3306, 5432, 5984, 6379, 9042, 9200, 11211, 27017];
/// LDAP and its global catalogue, in clear and sealed.
const DIRECTORIES: [u16; 4] = [389, 636, 3268, 3269];

/// Whether a database answers there.
pub fn is_database(protocol: u8, port: u16) -> bool {
    protocol == TCP && DATABASES.contains(&port)
}

/// Whether a directory does.
pub fn is_directory(protocol: u8, port: u16) -> bool {
    protocol == TCP && DIRECTORIES.contains(&port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_and_directories_answer_over_tcp() {
        for (protocol, port, wanted) in [
            (6, 3306, [true, false]),
            (6, 389, [false, true]),
            (17, 11_211, [false, false]),
            (17, 389, [false, false]),
            (6, 443, [false, false]),
        ] {
            assert_eq!([is_database(protocol, port), is_directory(protocol, port)], wanted, "{port}/{protocol}");
        }
    }
}
