<?php

declare(strict_types=1);

namespace Amqp1\QueueInterop;

use Amqp1\Task;
use Interop\Queue\Message as MessageInterface;

/**
 * A message. Its properties are the application's; its headers are AMQP's properties: message_id, correlation_id, reply_to,
 * timestamp, content_type, content_encoding, user_id, group_id, subject, priority, delivery_mode and expiration (milliseconds).
 */
final class Message implements MessageInterface
{
    private bool $redelivered = false;

    /**
     * @param array<string, mixed> $properties
     * @param array<string, mixed> $headers
     * @param Task|null $task What was received.
     */
    public function __construct(
        private string $body = '',
        private array $properties = [],
        private array $headers = [],
        private readonly ?Task $task = null,
    ) {
    }

    /** The extension's task, if the message was received. */
    public function getTask(): ?Task
    {
        return $this->task;
    }

    public function getBody(): string
    {
        return $this->body;
    }

    public function setBody(string $body): void
    {
        $this->body = $body;
    }

    public function setProperties(array $properties): void
    {
        $this->properties = $properties;
    }

    public function getProperties(): array
    {
        return $this->properties;
    }

    public function setProperty(string $name, $value): void
    {
        $this->properties[$name] = $value;
    }

    public function getProperty(string $name, $default = null)
    {
        return $this->properties[$name] ?? $default;
    }

    public function setHeaders(array $headers): void
    {
        $this->headers = $headers;
    }

    public function getHeaders(): array
    {
        return $this->headers;
    }

    public function setHeader(string $name, $value): void
    {
        $this->headers[$name] = $value;
    }

    public function getHeader(string $name, $default = null)
    {
        return $this->headers[$name] ?? $default;
    }

    public function setRedelivered(bool $redelivered): void
    {
        $this->redelivered = $redelivered;
    }

    public function isRedelivered(): bool
    {
        return $this->redelivered;
    }

    public function setCorrelationId(?string $correlationId = null): void
    {
        $this->headers['correlation_id'] = $correlationId;
    }

    public function getCorrelationId(): ?string
    {
        return $this->headers['correlation_id'] ?? null;
    }

    public function setMessageId(?string $messageId = null): void
    {
        $this->headers['message_id'] = $messageId;
    }

    public function getMessageId(): ?string
    {
        return $this->headers['message_id'] ?? null;
    }

    public function getTimestamp(): ?int
    {
        $timestamp = $this->headers['timestamp'] ?? null;

        return $timestamp === null ? null : (int) $timestamp;
    }

    public function setTimestamp(?int $timestamp = null): void
    {
        $this->headers['timestamp'] = $timestamp;
    }

    public function setReplyTo(?string $replyTo = null): void
    {
        $this->headers['reply_to'] = $replyTo;
    }

    public function getReplyTo(): ?string
    {
        return $this->headers['reply_to'] ?? null;
    }
}
