package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/netstreamflow/netstreamflow/domain"
)

// failure tells what happened without the text of statements or of data: that the caller's context is done, that the data
// cannot be kept, or that the server does not do its part.
func failure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if done := ctx.Err(); done != nil {
		return done
	}
	var own *pgconn.PgError
	switch {
	case errors.Is(err, domain.ErrNotFound), errors.Is(err, domain.ErrUnavailable), errors.Is(err, domain.ErrInvalid):
		return err
	case errors.As(err, &own):
		return refusal(own)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: the database does not answer in time", domain.ErrUnavailable)
	}
	return fmt.Errorf("%w: %w", domain.ErrUnavailable, err)
}

// refusal tells the server's own errors apart by the classes of
// https://www.postgresql.org/docs/current/errcodes-appendix.html.
func refusal(e *pgconn.PgError) error {
	switch class(e) {
	case "22", "54":
		// The message may repeat the data.
		return fmt.Errorf("%w: the database cannot keep the data (SQLSTATE %s)", domain.ErrInvalid, e.Code)
	case "23":
		return fmt.Errorf("%w: the database's content contradicts itself (SQLSTATE %s)", domain.ErrUnavailable, e.Code)
	}
	return fmt.Errorf("%w: the database says: %s (SQLSTATE %s)", domain.ErrUnavailable, e.Message, e.Code)
}

func class(e *pgconn.PgError) string { return e.Code[:min(2, len(e.Code))] }

// oneOrNone turns the error of a row that is not there into found=false.
func oneOrNone(err error) (found bool, _ error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
