//! The steps that bring a database to the layout of this version. Each is a file that never changes once it was released; sqlx keeps in
//! the database which were taken, with a checksum of each.
//!
//! A list, not `sqlx::migrate!`: that macro compiles sqlx and SQLite a second time, for the compiler's own use.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

macro_rules! step {
    ($version:literal, $name:literal) => {
        (
            $version,
            $name,
            include_str!(concat!(
                "../../../migrations/sqlite/",
                $version,
                "_",
                $name,
                ".sql"
            )),
        )
    };
}

/// Version and name as in the file's name, and what it says.
const STEPS: [(&str, &str, &str); 11] = [
    step!("0001", "first"),
    step!("0010", "identity"),
    step!("0011", "attributes"),
    step!("0020", "admin"),
    step!("0030", "settings"),
    step!("0031", "caps"),
    step!("0032", "retention"),
    step!("0050", "spend"),
    step!("0051", "removed_agents"),
    step!("0060", "talk"),
    step!("0061", "calls"),
];

/// Every step up to this version of the layout.
pub fn up_to(last: i64) -> Migrator {
    let steps = STEPS.into_iter().map(|(version, name, sql)| {
        let version = version.parse().expect("the steps are numbered");
        let description = name.replace('_', " ").into();
        Migration::new(
            version,
            description,
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(steps.filter(|step| step.version <= last).collect())
}

pub fn all() -> Migrator {
    up_to(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_step_in_the_order_of_its_number() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder")
            .map(|file| {
                file.expect("a file")
                    .file_name()
                    .into_string()
                    .expect("text")
            })
            .collect();
        files.sort();
        let steps = STEPS.map(|(version, name, _)| format!("{version}_{name}.sql"));
        assert_eq!(steps.to_vec(), files);
    }
}
