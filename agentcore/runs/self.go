package runs

import (
	"context"
	"errors"
	"fmt"
)

// Self is the user that this process is in the cluster.
func (c *Cluster) Self(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	raw, err := c.client.Post().AbsPath("/apis/authentication.k8s.io/v1/selfsubjectreviews").SetHeader("Content-Type", "application/json").
		Body([]byte(`{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`)).Do(ctx).Raw()
	if err != nil {
		return "", fmt.Errorf("ask the cluster who this is: %w", err)
	}
	review, err := decode[struct {
		Status struct{ UserInfo struct{ Username string } }
	}](raw)
	if err == nil && review.Status.UserInfo.Username == "" {
		err = errors.New("it does not say")
	}
	return review.Status.UserInfo.Username, err
}
