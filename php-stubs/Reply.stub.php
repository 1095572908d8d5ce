<?php

// Amqp1\Reply, Amqp1\PendingReply: see amqp1.stub.php.

namespace Amqp1;

/**
 * The reply to a request: what its worker gave to Task::reply(). It is settled.
 */
final class Reply
{
    private function __construct()
    {
    }

    /**
     * The id of the reply's own message; empty if it has none.
     */
    public function getId(): string
    {
    }

    /**
     * The payload that the worker gave to Task::reply().
     *
     * @return mixed as Task::getPayload()
     *
     * @throws Exception\SerializationException the body is marked as JSON but is not JSON
     */
    public function getPayload(): mixed
    {
    }

    /**
     * The payload as it was sent, any bytes, as Task::getBody().
     */
    public function getBody(): string
    {
    }

    /**
     * All headers: name => values.
     *
     * @return array<string, non-empty-list<string>>
     */
    public function getHeaders(): array
    {
    }

    /**
     * Whether the reply has a header of this name.
     *
     * @param string $name Case-insensitive.
     */
    public function hasHeader(string $name): bool
    {
    }

    /**
     * The values of a header.
     *
     * @param string $name Case-insensitive.
     *
     * @return list<string> empty if there is no header of that name
     */
    public function getHeader(string $name): array
    {
    }

    /**
     * The values of a header, in one string.
     *
     * @param string $name Case-insensitive.
     *
     * @return string the values joined by ", "; empty if there is no header of that name
     */
    public function getHeaderLine(string $name): string
    {
    }

    /**
     * The AMQP properties that the message has, as Task::getProperties(). correlation_id is the request's id.
     *
     * @return array<string, mixed>
     */
    public function getProperties(): array
    {
    }

    /**
     * The message annotations, as Task::getAnnotations().
     *
     * @return array<string, mixed>
     */
    public function getAnnotations(): array
    {
    }

    /**
     * The format of the message: usually that of the request.
     *
     * @return 'roadrunner'|'amqp1'|'babelqueue'|'raw'
     */
    public function getFormat(): string
    {
    }
}

/**
 * A request that the broker has confirmed, and whose reply may still come. If the object is dropped, so is its reply.
 *
 * Replies are sorted during calls of any request of the process. The order of get() does not matter: replies of other
 * requests that arrive in the meantime are kept for them.
 */
final class PendingReply
{
    private function __construct()
    {
    }

    /**
     * The request's id: the id of the job.
     */
    public function getId(): string
    {
    }

    /**
     * Whether get() would return or throw at once. It does not block, so fibers and event loops can ask it.
     */
    public function isReady(): bool
    {
    }

    /**
     * Waits for the reply until the request's timeout has passed, counted from requestAsync(). Can be called again, also
     * after an exception from a signal handler.
     *
     * @throws Exception\TimeoutException no reply in time; a reply that comes later is dropped
     * @throws Exception\ConnectionException the connection for replies is lost: the request may have been handled
     */
    public function get(): Reply
    {
    }
}
