//! The role that docs/operators.md gives to the server on PostgreSQL may run every statement of the store, and no more
//! than it needs: it cannot change what is never changed.

use borsellino_store::RawPool;
use borsellino_tests::stores::Fresh;
use sqlx::{AssertSqlSafe, raw_sql};

const PAPER: &str = include_str!("../../../../docs/operators.md");

/// The numbers of a statement's parameters: how many there are.
fn parameters(text: &str) -> usize {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    text.split('$').skip(1).filter_map(|rest| digits(rest).parse::<usize>().ok()).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_role_may_run_every_statement() {
    let fresh = Fresh::postgres("privileges").await.expect("a fresh database");
    let RawPool::Pg(pool) = fresh.store.raw() else { unreachable!("it was asked for") };
    let mut connection = pool.acquire().await.expect("a connection");
    let role = "the_server_of_operators_md";
    raw_sql(AssertSqlSafe(format!("CREATE ROLE {role}"))).execute(&mut *connection).await.expect("a role");
    let grants: Vec<&str> = PAPER.lines().filter(|line| line.starts_with("GRANT ")).collect();
    assert!(grants.len() >= 3, "docs/operators.md grants something: {grants:?}");
    for grant in grants {
        let grant = grant.replace("borsellino_server", role);
        raw_sql(AssertSqlSafe(grant)).execute(&mut *connection).await.expect("a grant");
    }
    raw_sql(AssertSqlSafe(format!("SET ROLE {role}"))).execute(&mut *connection).await.expect("the role");
    let mut refused = Vec::new();
    for (name, text) in fresh.store.texts() {
        let nulls = vec!["NULL"; parameters(text)].join(", ");
        let values = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
        // Explaining asks for the same rights as running.
        let explained = format!("PREPARE told AS {text}; EXPLAIN EXECUTE told{values}; DEALLOCATE told");
        if let Err(error) = raw_sql(AssertSqlSafe(explained)).execute(&mut *connection).await {
            refused.push(format!("{name}: {error}"));
            let _ = raw_sql("DEALLOCATE ALL").execute(&mut *connection).await;
        }
    }
    assert_eq!(refused, Vec::<String>::new());
    for never in ["UPDATE receipt SET ours_cents = 1", "DELETE FROM posting", "UPDATE journal_entry SET at_ms = 1"] {
        let outcome = raw_sql(AssertSqlSafe(never.to_owned())).execute(&mut *connection).await;
        assert!(outcome.is_err(), "{never}");
    }
    raw_sql("RESET ROLE").execute(&mut *connection).await.expect("the owner again");
    raw_sql(AssertSqlSafe(format!("DROP OWNED BY {role}; DROP ROLE {role}")))
        .execute(&mut *connection)
        .await
        .expect("gone");
}
