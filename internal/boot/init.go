package boot

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/bridge"
	"sallyport/domain"
	"sallyport/eventstore"
	"sallyport/projections"
	"sallyport/schema"
)

// Init makes a site, or completes one that was begun: folders, keys, database,
// the program's login, the log's first event and the site card. What exists
// already is left as it is, so that it may be run at every start.
func Init(ctx context.Context, c Config, actor string) (bridge.Card, error) {
	folders, err := bridge.OpenFolders(c.Data)
	if err != nil {
		return bridge.Card{}, err
	}
	if err := folders.Close(); err != nil {
		return bridge.Card{}, err
	}
	keys, err := bridge.EnsureKeys(c.keysDir())
	if err != nil {
		return bridge.Card{}, err
	}
	if _, err := bridge.EnsureSigningKey(filepath.Join(c.keysDir(), "tokens.pem")); err != nil {
		return bridge.Card{}, err
	}
	if err := Migrate(ctx, c); err != nil {
		return bridge.Card{}, err
	}
	epoch, err := foundLog(ctx, c, actor)
	if err != nil {
		return bridge.Card{}, err
	}
	card, err := keys.Card(c.Site, c.Role, epoch)
	if err != nil {
		return bridge.Card{}, err
	}
	return card, c.writeCard(card)
}

// Migrate brings the site's database up to this program and gives the
// program's login its rights.
func Migrate(ctx context.Context, c Config) error {
	appURL, err := secret(c.Database.URL, c.Database.URLFile)
	if err != nil {
		return err
	}
	ownerURL, err := secret(c.Database.MigrateURL, c.Database.MigrateURLFile)
	if err != nil {
		return err
	}
	owner, err := connect(ctx, cmp.Or(ownerURL, appURL), 4)
	if err != nil {
		return err
	}
	defer owner.Close()
	if _, err := schema.Migrate(ctx, owner); err != nil {
		return err
	}
	return grant(ctx, owner, appURL)
}

// grant lets the program's login do what the program must, and makes the
// login if it is missing.
func grant(ctx context.Context, owner *pgxpool.Pool, appURL string) error {
	app, err := pgx.ParseConfig(appURL)
	if err != nil {
		return errors.New("database.url does not parse (it is not shown: it may hold a password)")
	}
	return pgx.BeginFunc(ctx, owner, func(tx pgx.Tx) error {
		var exists, member bool
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1),
			coalesce((SELECT pg_has_role(oid, 'sallyport_app', 'USAGE') FROM pg_roles WHERE rolname = $1), false)`, app.User).Scan(&exists, &member)
		if err != nil {
			return fmt.Errorf("look for the program's login: %w", err)
		}
		if !exists {
			if err := execFormat(ctx, tx, `CREATE ROLE %I LOGIN PASSWORD %L`, app.User, app.Password); err != nil {
				return fmt.Errorf("make the program's login %s: %w", app.User, err)
			}
		}
		if member {
			return nil
		}
		return execFormat(ctx, tx, `GRANT sallyport_app TO %I`, app.User)
	})
}

// execFormat runs a statement that takes no parameters, with its values quoted
// by the database itself.
func execFormat(ctx context.Context, tx pgx.Tx, format string, args ...any) error {
	var sql string
	if err := tx.QueryRow(ctx, `SELECT format($1, VARIADIC $2::text[])`, format, args).Scan(&sql); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, sql)
	return err
}

// foundLog founds the log if there is none, and returns its epoch.
func foundLog(ctx context.Context, c Config, actor string) (string, error) {
	appURL, err := secret(c.Database.URL, c.Database.URLFile)
	if err != nil {
		return "", err
	}
	pool, err := connect(ctx, appURL, 4)
	if err != nil {
		return "", err
	}
	defer pool.Close()
	var epoch [16]byte
	rand.Read(epoch[:]) //nolint:errcheck // documented never to fail
	config := eventstore.Config{CheckLine: checkLine, Inline: projections.Inline()}
	first := domain.SiteFounded{Site: c.Site, Role: c.Role, Epoch: hex.EncodeToString(epoch[:])}
	if _, err := eventstore.Found(ctx, pool, config, first, actor); err != nil {
		return "", err
	}
	log, err := eventstore.Open(ctx, pool, config)
	if err != nil {
		return "", err
	}
	defer log.Close()
	if log.Site() != c.Site || log.Role() != c.Role {
		return "", fmt.Errorf("the database already holds the log of the %s site %s; nothing was changed", log.Role(), log.Site())
	}
	return log.Epoch(), nil
}

// Pending returns how many migrations the site's database still lacks.
func Pending(ctx context.Context, c Config) (int, error) {
	url, err := secret(c.Database.URL, c.Database.URLFile)
	if err != nil {
		return 0, err
	}
	pool, err := connect(ctx, url, 1)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	return schema.Pending(ctx, pool)
}

// reachable is how long a database may take to let us in.
const reachable = 10 * time.Second

// connect opens a pool whose database answers now, or says that it does not:
// whatever is asked later would fail with a harder riddle.
func connect(ctx context.Context, url string, maxConns int32, change ...func(*pgxpool.Config)) (*pgxpool.Pool, error) {
	pool, err := eventstore.Pool(ctx, url, maxConns, change...)
	if err != nil {
		return nil, err
	}
	ping, cancel := context.WithTimeout(ctx, reachable)
	defer cancel()
	if err := pool.Ping(ping); err != nil {
		pool.Close()
		return nil, fmt.Errorf("the database cannot be reached: %w; nothing was lost: start it, or correct database.url, then try again", err)
	}
	return pool, nil
}
